"""The report of a loop: facts gathered once from the record, written as one file of any kind.

`gathering` reads the record and gives a `facts.Report`; `sections` tells it as a document, which
`markdown` and `html` write out; `table` makes a spreadsheet of it, and its facts are the JSON.
"""
