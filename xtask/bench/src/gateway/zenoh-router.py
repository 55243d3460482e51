"""A Zenoh router, as `zenohd` is one. Its log goes to stderr and says where it listens."""

import json
import os
import sys
import threading

import zenoh

listen, certificate, key = sys.argv[1:]
os.dup2(2, 1)
zenoh.init_log_from_env_or("info")
config = zenoh.Config()
for name, value in {
    "mode": "router",
    "listen/endpoints": [listen],
    "transport/link/tls/listen_certificate": certificate,
    "transport/link/tls/listen_private_key": key,
    "scouting/multicast/enabled": False,
}.items():
    config.insert_json5(name, json.dumps(value))
session = zenoh.open(config)
threading.Event().wait()
