"""An operator that runs in-process (SMSC), and the virtual handset."""
