//! For people, DRBD and monitoring systems. Never starts or stops a resource behind Pacemaker's back.
