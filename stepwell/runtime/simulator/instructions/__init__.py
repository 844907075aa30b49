"""What each instruction does: one file per family; importing a file registers its instructions."""
