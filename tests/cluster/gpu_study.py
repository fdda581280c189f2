"""A study whose rungs ask for different machines: the atlas teacher on cores, XLM-R rungs on one GPU or eight."""

from dataclasses import replace

from studies.first_look import STUDY
from studies.ladders import XLM_R
from studies.schema.execution import Execution
from studies.schema.study import Study


def gpu_study() -> Study:
    """XLM-R base and XL beside the teacher of ``first_look``."""
    return replace(
        STUDY,
        name="gpu_study",
        axes=(XLM_R.axis("xlm-r-base", "xlm-r-xl"), *STUDY.axes[1:]),
        hold_out="xlm-r-xl",
        execution=Execution(workers=2, threads=2),
        executions=(
            ("xlm-r-base", Execution(workers=1, threads=4, gpus_per_worker=1)),
            ("xlm-r-xl", Execution(workers=8, threads=4, gpus_per_worker=1, zero_stage=3)),
        ),
    )


def elastic_study(study: Study, fewest: int) -> Study:
    """The same with a largest rung that goes on with ``fewest`` workers."""
    *others, (rung, execution) = study.executions
    return replace(study, executions=(*others, (rung, replace(execution, workers_min=fewest))))
