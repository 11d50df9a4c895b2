"""The wire: messages and services in `v1/`, and the codecs of what they carry."""
