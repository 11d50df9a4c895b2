"""The site: enrolment, agent loop, outbox, ledger, local training, inference."""
