#!/bin/bash
# A study on Slurm: one Ray node on each node of the allocation, the driver on the first.
#   sbatch slurm.sh
# Change: the resources, the environment's path, the command. $HOME and $SLURM_SUBMIT_DIR must be shared.
#SBATCH --job-name=tune-kd
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=4
#SBATCH --time=12:00:00
#SBATCH --signal=B:INT@120

set -euo pipefail

# shellcheck disable=SC1091 # it is not there where this is checked
source "$HOME/tune-kd/bin/activate"

# Whoever reaches the port of a cluster without tokens runs code as you, and compute nodes are shared.
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH="$HOME/.ray/auth_token"
[ -s "$RAY_AUTH_TOKEN_PATH" ] || ray get-auth-token --generate >/dev/null

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=$((20000 + SLURM_JOB_ID % 20000)) # two jobs may share a node

start=(ray start --block --disable-usage-stats --num-cpus="$SLURM_CPUS_PER_TASK")
srun --nodes=1 --ntasks=1 --nodelist="$head" "${start[@]}" --head --port="$port" &
until ray status --address="$head:$port" >/dev/null 2>&1; do sleep 2; done
others=$((SLURM_NNODES - 1))
if ((others > 0)); then
    srun --nodes="$others" --ntasks="$others" --exclude="$head" "${start[@]}" --address="$head:$port" &
fi

# Slurm's INT, two minutes before the end, goes on to the driver: it closes its records, and the same job,
# submitted again with `tune-kd resume` and the same --store and --cache, goes on.
tune-kd compare --policies grid,random,tpe,annealing,stochastic --budget 20trials \
    --address "$head:$port" --store "$SLURM_SUBMIT_DIR/runs" --cache "$SLURM_SUBMIT_DIR/cache" &
driver=$!
trap 'kill -INT "$driver"' INT
wait "$driver" || wait "$driver" # the first wait may end with the signal
