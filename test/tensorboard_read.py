"""A folder of event files as JSON, by tag: python3 test/tensorboard_read.py READER FOLDER

    tensorboard  TensorBoard's own reader
    protobuf     google.protobuf over TensorBoard's declarations (golden/make_tensorboard.py), checksums by their definition
"""

import glob
import json
import os
import struct
import sys


def by_tensorboard(folder):
    from tensorboard.backend.event_processing.event_accumulator import HISTOGRAMS, SCALARS, TENSORS, EventAccumulator

    log = EventAccumulator(folder, size_guidance={SCALARS: 0, HISTOGRAMS: 0, TENSORS: 0})
    log.Reload()
    tags = log.Tags()
    return {
        "scalars": {tag: [[e.step, e.value] for e in log.Scalars(tag)] for tag in tags["scalars"]},
        "histograms": {
            tag: [[e.step, *histogram(e.histogram_value)] for e in log.Histograms(tag)] for tag in tags["histograms"]
        },
        "texts": {
            tag: [[e.step, e.tensor_proto.string_val[0].decode()] for e in log.Tensors(tag)] for tag in tags["tensors"]
        },
    }


def by_protobuf(folder):
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    here = os.path.dirname(os.path.abspath(__file__))
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet()
    files.ParseFromString(open(os.path.join(here, "golden", "tensorboard", "protos.bin"), "rb").read())
    for file in files.file:
        pool.Add(file)
    declared = pool.FindMessageTypeByName("tensorboard.Event")
    Event = (
        message_factory.GetMessageClass(declared)
        if hasattr(message_factory, "GetMessageClass")
        else message_factory.MessageFactory(pool).GetPrototype(declared)
    )
    found = {"scalars": {}, "histograms": {}, "texts": {}}
    for path in sorted(glob.glob(os.path.join(folder, "*tfevents*"))):
        for number, data in enumerate(records(open(path, "rb").read())):
            event = Event.FromString(data)
            unknown = event.UnknownFields() if hasattr(event, "UnknownFields") else ()
            assert len(unknown) == 0, "record %d has fields that TensorBoard does not declare" % number
            assert (event.file_version == "brain.Event:2") == (number == 0), "record %d: the version" % number
            for value in event.summary.value:
                kind = value.WhichOneof("value")
                if kind == "simple_value":
                    add(found["scalars"], value.tag, [event.step, value.simple_value])
                elif kind == "histo":
                    add(found["histograms"], value.tag, [event.step, *histogram(value.histo)])
                elif kind == "tensor" and value.metadata.plugin_data.plugin_name == "text":
                    assert [dim.size for dim in value.tensor.tensor_shape.dim] == [len(value.tensor.string_val)]
                    add(found["texts"], value.tag, [event.step, value.tensor.string_val[0].decode()])
                else:
                    raise AssertionError("record %d: %s of %s" % (number, kind, value.tag))
    return found


def add(table, tag, row):
    table.setdefault(tag, []).append(row)


def histogram(h):
    return [h.min, h.max, h.num, h.sum, h.sum_squares, list(h.bucket_limit), list(h.bucket)]


def records(data):
    at = 0
    while at < len(data):
        length, check = struct.unpack_from("<QI", data, at)
        assert check == masked_crc(data[at : at + 8]), "checksum of the length at %d" % at
        event = data[at + 12 : at + 12 + length]
        assert struct.unpack_from("<I", data, at + 12 + length)[0] == masked_crc(event), "checksum at %d" % at
        yield event
        at += 16 + length


def masked_crc(data):
    """CRC-32C, bit by bit, turned and shifted as tensorflow/core/lib/hash/crc32c.h does."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


reader, folder = sys.argv[1:]
print(json.dumps({"tensorboard": by_tensorboard, "protobuf": by_protobuf}[reader](folder)))
