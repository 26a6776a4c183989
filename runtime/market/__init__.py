"""The market for training: who sells, what is trained on, how work is checked and paid.

    oracle ─ work units ─ reputation ─ providers ─┐
                          datasets ─ credits ─────┼─> jobs ─> verification, disputes ─> rewards

Each module has one job and one page of rules; jobs are where they meet. What they all say is in
`runtime.market.nouns`, what they all compute in `runtime.market.terms`.
"""
