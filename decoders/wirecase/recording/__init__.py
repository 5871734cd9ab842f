"""Live sessions: what passes is recorded, diagnosed beside it, and kept as a case where something was wrong.

`transcript` makes packets of what a proxy tells, `writer` puts them into a file, `inputs` hands them to the pipeline
that diagnoses files as well, `flight` keeps what led to a finding and forgets the rest, `cases` makes cases of it,
`metrics` and `hooks` tell others, and `session` runs all of it. Whoever has packets from elsewhere (a live capture)
uses `flight`, `cases`, `metrics` and `hooks` alone.
"""
