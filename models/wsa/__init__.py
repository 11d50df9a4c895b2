"""Weight Scope Alignment: federated averaging whose sites keep their layers' distributions together."""
