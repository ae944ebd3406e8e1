"""The demo: a teacher, students alone and distilled, exports and a report."""
