"""A Slurm batch script that starts Ray on its nodes, runs one study, saves when preempted and queues again."""

import shlex

from cluster.command import Stamps
from cluster.demand import shortfalls
from cluster.targets import SlurmJob
from studies.schema.study import Study

RAY_PORT = 6379

# ``singleton`` lets one job of a name and user run at a time, so a study that is submitted twice is continued, not run
# twice. --signal=B: tells the batch shell alone, which asks the driver to save before Slurm ends the rest.
_SCRIPT = """\
#!/bin/bash
#SBATCH --job-name={job}
#SBATCH --partition={partition}
{account}#SBATCH --nodes={least}-{most}
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task={cpus}
#SBATCH --mem={memory}G
{gpus}#SBATCH --exclusive
#SBATCH --time={hours}:00:00
#SBATCH --dependency=singleton
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@{notice}
#SBATCH --output={job}.log

set -euo pipefail
cd {checkout}
export PATH={environment}/bin:$PATH
export HARNESS_STORAGE={storage}
{stamps}
# A token that the submitting user made once (ray get-auth-token --generate); only its path is written here.
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH={token}
export RAY_USAGE_STATS_ENABLED=0

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
head_ip=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{{print $1}}')
address=$head_ip:{port}

preempted=
# shellcheck disable=SC2329 # the trap calls it
save() {{
    preempted=1
    python -m harness stop {study} || true
}}
trap save TERM

srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --kill-on-bad-exit=0 \\
    ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" \\
    --num-cpus={cpus}{ray_gpus} --disable-usage-stats \\
    -- env RAY_ADDRESS="$address" python -m harness run {study} &
running=$!

# A trapped signal interrupts wait, which has then to be asked again.
status=0
wait "$running" || status=$?
while kill -0 "$running" 2>/dev/null; do
    status=0
    wait "$running" || status=$?
done

if [[ -n $preempted ]]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
"""


def batch_script(target: SlurmJob, study: Study, stamps: Stamps | None = None) -> str:
    """The script for ``sbatch``; ValueError when the target's nodes cannot hold the study."""
    lacking = shortfalls(study, [target.node] * target.nodes.maximum)
    if lacking:
        raise ValueError(f"{target.name} cannot hold {study.name}: {'; '.join(lacking)}")
    exports = stamps.environment() if stamps else {}
    return _SCRIPT.format(
        job=f"{study.name}-{study.version}",
        partition=target.partition,
        account=f"#SBATCH --account={target.account}\n" if target.account else "",
        least=target.nodes.minimum,
        most=target.nodes.maximum,
        cpus=target.node.cpus,
        memory=target.node.memory_gib,
        gpus=f"#SBATCH --gpus-per-node={target.node.gpus}\n" if target.node.gpus else "",
        ray_gpus=f" --num-gpus={target.node.gpus}" if target.node.gpus else "",
        hours=target.hours,
        notice=target.notice_seconds,
        checkout=target.checkout,
        environment=target.environment,
        storage=target.storage,
        stamps="".join(f"export {name}={shlex.quote(value)}\n" for name, value in exports.items()),
        token=target.token_file,
        port=RAY_PORT,
        study=study.name,
    )
