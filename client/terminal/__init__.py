"""What people see: words, bars, reports, explanations. Pure but for ``watch``."""
