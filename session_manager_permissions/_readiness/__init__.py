"""The check at synthesis: which instances of an app can Session Manager reach?"""
