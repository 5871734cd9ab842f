"""Evidence that did not come from a packet capture, as the packets of the same sessions.

Each form's reader satisfies `wirecase.sources.reading.PacketReader`: it yields batches of made-up packets, numbered as
the form's records are. Forms that hold bytes (`byte_streams`) give them as they are; forms that hold messages
(`http2_writer`) are written as canonical HTTP/2. What a form cannot show stands in `wirecase.model.FormFacts`, and the
rules are told what was made up.
"""

from wirecase.sources.forms.recognise import LOOK, form_reader

__all__ = ["LOOK", "form_reader"]
