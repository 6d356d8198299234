//! Features: the one builder that training, backtest and serving share.
