#!/bin/bash
#SBATCH --job-name=first_look-2026.11.25
#SBATCH --partition=gpu
#SBATCH --nodes=1-2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --mem=256G
#SBATCH --gpus-per-node=4
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --dependency=singleton
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@300
#SBATCH --output=first_look-2026.11.25.log

set -euo pipefail
cd /shared/clir-scaling-harness
export PATH=/shared/clir-scaling-harness/.venv/bin:$PATH
export HARNESS_STORAGE=/shared/harness

# A token that the submitting user made once (ray get-auth-token --generate); only its path is written here.
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH=~/.ray/auth_token
export RAY_USAGE_STATS_ENABLED=0

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
head_ip=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{print $1}')
address=$head_ip:6379

preempted=
# shellcheck disable=SC2329 # the trap calls it
save() {
    preempted=1
    python -m harness stop first_look || true
}
trap save TERM

srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --kill-on-bad-exit=0 \
    ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus=32 --num-gpus=4 --disable-usage-stats \
    -- env RAY_ADDRESS="$address" python -m harness run first_look &
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
