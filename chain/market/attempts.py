"""Where an attempt at a job begins: its data and the weights there, checked by their hashes."""

from chain.market.content import DataDirectory, DataMissing
from chain.market.door import Peer, fetch_data, fetch_weights
from chain.market.training import Fraud, Plan, Trace, train
from runtime.market.market import Market
from runtime.market.nouns import Job, JobSpec
from runtime.market.trainer import PROGRAM, initial_weights, read_params


def plan_of(spec: JobSpec) -> Plan:
    """Give what a job of the reference trainer trains. Raises DataMissing for any other."""
    if spec.program != PROGRAM:
        raise DataMissing(f"the program {spec.program.hex()} is not the reference trainer")
    try:
        return Plan(read_params(spec.params), spec.steps, spec.checkpoints)
    except ValueError as error:
        raise DataMissing(f"the job cannot be trained: {error}") from error


def begin_trace(
    market: Market,
    number: int,
    job: Job,
    data: DataDirectory,
    peers: list[Peer],
    *,
    fraud: Fraud | None = None,
) -> Trace:
    """Give the trace of the running attempt at a job, or of a part, with nothing trained yet.

    An attempt that goes on from a checkpoint needs the weights there. Where nobody has them any
    more they are trained again from zero: integers come to the same bytes. Raises DataMissing.
    """
    plan = plan_of(market.jobs.spec(number))
    leaves = fetch_data(data, peers, market.jobs.data_root(number))
    first, weights = job.first_checkpoint, initial_weights(plan.params)
    if first:
        try:
            weights = fetch_weights(data, peers, job.first_state)
        except DataMissing:
            again = train(plan, leaves, until=first)
            if again.final_state != job.first_state:
                raise
            weights = again.weights
            data.write_weights(weights)
    return Trace(plan, tuple(leaves), first, weights, fraud=fraud, end=job.end_checkpoint)
