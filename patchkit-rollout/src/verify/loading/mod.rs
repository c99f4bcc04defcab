//! Whether every program still finds its libraries and their symbols, with nothing executed.
