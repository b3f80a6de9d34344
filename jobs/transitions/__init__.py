"""The only writer of job and task state.

Every move is one guarded statement with its history in the same transaction; the rows that come
back decide what happened, never an earlier read. Callers (``jobs/actions``) open the transaction
and decide; nothing here decides. Lock order, everywhere: pool, running tasks by id, dependents
by id, budgets by job, stages by job and number, jobs by id.
"""
