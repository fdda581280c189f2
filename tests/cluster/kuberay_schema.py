"""What a RayCluster and a RayJob may say, as far as our manifests go; whatever is not named here is refused.

Source: the custom resource definitions of KubeRay v1.6.2 (ray-operator/config/crd/bases/ray.io_rayclusters.yaml and
ray.io_rayjobs.yaml, group ray.io, version v1) and the Kubernetes API of pods (core/v1), written down by hand. The
manifests were also checked against the definitions of v1.6.2 and v1.7.0 themselves, which no installed package has.
"""

from typing import Any

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
BOOLEAN: Schema = {"type": "boolean"}
STRINGS: Schema = {"type": "object", "additionalProperties": STRING}
LABEL: Schema = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}
QUANTITY: Schema = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"}


def record(required: str = "", **properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def listed(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


CONTAINER = record(
    "name image resources",
    name=LABEL,
    image=STRING,
    env=listed(record("name value", name=STRING, value=STRING)),
    envFrom=listed(record("secretRef", secretRef=record("name", name=LABEL))),
    resources=record(
        "requests limits",
        requests={"type": "object", "additionalProperties": QUANTITY},
        limits={"type": "object", "additionalProperties": QUANTITY},
    ),
    securityContext=record(
        allowPrivilegeEscalation=BOOLEAN, capabilities=record("drop", drop=listed({"enum": ["ALL"]}))
    ),
    volumeMounts=listed(record("name mountPath", name=LABEL, mountPath={"type": "string", "pattern": "^/"})),
)
POD = record(
    "containers",
    nodeSelector=STRINGS,
    tolerations=listed(
        record(
            "key",
            key=STRING,
            operator={"enum": ["Equal", "Exists"]},
            value=STRING,
            effect={"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
        )
    ),
    securityContext=record(runAsNonRoot=BOOLEAN, runAsUser=COUNT, fsGroup=COUNT),
    containers=listed(CONTAINER),
    volumes=listed(
        record("name persistentVolumeClaim", name=LABEL, persistentVolumeClaim=record("claimName", claimName=LABEL))
    ),
)
TEMPLATE = record("spec", metadata=record(annotations=STRINGS), spec=POD)
CLUSTER_SPEC = record(
    "headGroupSpec",
    rayVersion=STRING,
    authOptions=record(mode={"enum": ["disabled", "token"]}, secretName=LABEL),
    enableInTreeAutoscaling=BOOLEAN,
    autoscalerOptions=record(idleTimeoutSeconds=COUNT),
    headGroupSpec=record("template", rayStartParams=STRINGS, template=TEMPLATE),
    workerGroupSpecs=listed(
        record(
            "groupName minReplicas maxReplicas template",
            groupName=LABEL,
            replicas=COUNT,
            minReplicas=COUNT,
            maxReplicas=COUNT,
            rayStartParams=STRINGS,
            template=TEMPLATE,
        )
    ),
)
JOB_SPEC = record(
    entrypoint=STRING,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
    backoffLimit=COUNT,
    shutdownAfterJobFinishes=BOOLEAN,
    ttlSecondsAfterFinished=COUNT,
    metadata=STRINGS,
    runtimeEnvYAML=STRING,
    rayClusterSpec=CLUSTER_SPEC,
)


def document(kind: str, spec: Schema) -> Schema:
    metadata = record("name namespace", name=LABEL, namespace=LABEL)
    version: Schema = {"const": "ray.io/v1"}
    return record(
        "apiVersion kind metadata spec", apiVersion=version, kind={"const": kind}, metadata=metadata, spec=spec
    )


RAY_CLUSTER = document("RayCluster", CLUSTER_SPEC)
RAY_JOB = document("RayJob", JOB_SPEC)
