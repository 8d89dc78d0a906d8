"""The cash-register law: reports, control unit, export, reserve routine."""
