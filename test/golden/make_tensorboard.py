"""tensorboard/protos.bin: what TensorBoard's event files are made of, as TensorBoard itself declares it, compiled.

    python3 -m venv venv && venv/bin/pip install tensorboard==2.21.0
    venv/bin/python test/golden/make_tensorboard.py

A FileDescriptorSet of tensorboard/compat/proto/event.proto and all it needs; google.protobuf reads it without a compiler."""

import os

from google.protobuf import descriptor_pb2
from tensorboard.compat.proto import event_pb2

found = {}


def add(file):
    for needed in file.dependencies:
        add(needed)
    if file.name not in found:
        found[file.name] = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(found[file.name])


add(event_pb2.DESCRIPTOR)
here = os.path.dirname(os.path.abspath(__file__))
os.makedirs(os.path.join(here, "tensorboard"), exist_ok=True)
with open(os.path.join(here, "tensorboard", "protos.bin"), "wb") as out:
    out.write(descriptor_pb2.FileDescriptorSet(file=found.values()).SerializeToString(deterministic=True))
