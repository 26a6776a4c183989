"""Jobs: work that is asked for, taken, done, judged and paid."""

from runtime.market.jobs.auction import seal_bid
from runtime.market.jobs.module import Jobs
from runtime.market.jobs.neighbours import Watcher
from runtime.market.jobs.receipts import JobReceipt, Signature

__all__ = ["JobReceipt", "Jobs", "Signature", "Watcher", "seal_bid"]
