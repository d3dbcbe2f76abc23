"""Nova's versioned notifications as a function of the log.

A fact and what the heart made of it name the notifications that nova would have sent: `words` is
the table, `telling` follows it, `payloads` fills nova's objects from the state. `notifier` is the
one part that does something: it folds the log by itself and sends. Nothing here decides anything.
"""
