"""What may happen: machines, folds and sagas, as tables; pure."""
