"""What runners are forked from: a process that has imported what they need, and does nothing else.

Only `multiprocessing` imports this, in that process. A runner is there in a tenth of the time a
new interpreter takes, so that a task that kills its runner costs its neighbours little.
"""

import signal

from workeragent import runner_process as runner_process

# It ends when its agent does. A signal to the whole process group is for the agent to act on.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
