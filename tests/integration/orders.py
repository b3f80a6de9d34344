"""What clients may submit, as Hypothesis draws it."""

from hypothesis import strategies as st

owners = st.sampled_from(["alice", "bob"])
limits = st.fixed_dictionaries(
    {},
    optional={
        "max_parallelism": st.integers(1, 3),
        "max_attempts": st.integers(1, 3),
        "max_failed_percent": st.sampled_from([0, 50]),
        "priority": st.sampled_from(["interactive", "batch"]),
    },
)
graphs = st.lists(
    st.tuples(
        st.sampled_from(["echo", "echo", "chat"]), st.integers(0, 63), st.sampled_from([0, 1])
    ),
    min_size=1,
    max_size=6,
)
