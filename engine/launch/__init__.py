"""Where workers run: launchers, devices, slots, load, the shim between launcher and worker. It knows no study."""
