"""A camera that sends its pictures over ZeroMQ and reads the verdicts: python camera_client.py ENDPOINT IMAGE...

From another machine it needs keys: --server-key server.key --key camera-1.key_secret (see docs/serving.md).
"""

import argparse
import json
from pathlib import Path

import zmq
import zmq.auth

options = argparse.ArgumentParser()
options.add_argument("endpoint", help="as tcp://127.0.0.1:5555")
options.add_argument("images", nargs="+", type=Path)
options.add_argument("--server-key", type=Path)
options.add_argument("--key", type=Path)
asked = options.parse_args()

socket = zmq.Context.instance().socket(zmq.DEALER)
socket.setsockopt(zmq.SNDHWM, 4)  # when the server has no room, `send` waits instead of hoarding pictures here
if asked.key:
    socket.curve_publickey, socket.curve_secretkey = zmq.auth.load_certificate(asked.key)
    socket.curve_serverkey, _ = zmq.auth.load_certificate(asked.server_key)
socket.connect(asked.endpoint)

for number, image in enumerate(asked.images):
    header = {"id": number, "encoding": "file"}  # of a frame grabber: {"encoding": "raw", "shape": [h, w, 3]}
    socket.send_multipart([json.dumps(header).encode(), image.read_bytes()])
for _ in asked.images:
    if not socket.poll(30_000):
        raise SystemExit(f"no answer from {asked.endpoint}: is the server running, and does it know this key?")
    verdict = json.loads(socket.recv())
    print(asked.images[verdict["id"]], verdict.get("verdict") or verdict.get("error"), verdict.get("score"), sep="\t")
