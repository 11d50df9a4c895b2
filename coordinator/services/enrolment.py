"""How a site gets and keeps its certificate."""

from __future__ import annotations

import time

from sqlalchemy import Engine

from coordinator.certificates import Authority, Role
from coordinator.invitations import enrol, renew
from coordinator.services.door import Door, answers
from protos.invitation import check_site_name
from protos.v1 import enrolment_pb2, enrolment_pb2_grpc


class EnrolmentService(enrolment_pb2_grpc.EnrolmentServicer):
    """`edgefed.v1.Enrolment`."""

    def __init__(self, door: Door, engine: Engine, authority: Authority, release_key_pem: bytes) -> None:
        self.door = door
        self._release_key_pem = release_key_pem
        self._engine = engine
        self._authority = authority

    @answers("enrolment")
    async def Enrol(self, request: enrolment_pb2.EnrolRequest, role: Role) -> enrolment_pb2.EnrolReply:
        """Trades a token's secret for a certificate."""
        site = check_site_name(request.site)
        pem = enrol(self._engine, self._authority, site, request.secret, request.csr_der, time.time())
        return self._reply(pem)

    @answers("site")
    async def Renew(self, request: enrolment_pb2.RenewRequest, role: Role) -> enrolment_pb2.EnrolReply:
        """A fresh certificate for the calling site."""
        pem = renew(self._engine, self._authority, role.name, request.csr_der)
        return self._reply(pem)

    def _reply(self, pem: bytes) -> enrolment_pb2.EnrolReply:
        return enrolment_pb2.EnrolReply(
            certificate_pem=pem, ca_pem=self._authority.pem, release_key_pem=self._release_key_pem
        )
