"""This library beside other ways to call Zoho Books: peers, their processes, the server, and the report."""
