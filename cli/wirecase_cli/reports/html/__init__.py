"""The report as one page of HTML that needs nothing else: no network, no other file.

`gather` collects what only this page shows (every call, a picture of the session), and `page.render` draws it. What
comes from a capture passes `shown.Shown` on its way to the page, whichever way it takes.
"""
