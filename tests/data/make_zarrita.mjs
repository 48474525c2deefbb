// Writes the arrays in tests/data/zarrita, which tests/interop/test_zarrita.py reads.
//
// In an empty directory, with Node 20 or newer:
//
//     npm init -y
//     npm install zarrita@0.7.5 @zarrita/storage@0.2.0
//     cp .../tests/data/make_zarrita.mjs . && node make_zarrita.mjs .../tests/data/zarrita
//
// zarrita.js writes Zarr v3, without shards, and compresses with what its package numcodecs has.

import * as zarr from "zarrita";
import FileSystemStore from "@zarrita/storage/fs";

const out = process.argv[2];
const SHAPE = [5, 7];
const COUNT = 35;

// what element number i is, of each data type
const TYPES = {
  bool: [(i) => i % 3 === 0, (values) => zarr.BoolArray.from?.(values), false],
  int8: [(i) => i - 17, Int8Array, -1],
  int16: [(i) => 1000 * i - 17000, Int16Array, 7],
  int32: [(i) => 100000000 * (i - 17), Int32Array, 0],
  int64: [(i) => 2n ** 58n * BigInt(i - 17) + 1n, BigInt64Array, 5n],
  uint8: [(i) => 7 * i, Uint8Array, 255],
  uint16: [(i) => 1800 * i, Uint16Array, 1],
  uint32: [(i) => 120000000 * i, Uint32Array, 0],
  uint64: [(i) => 2n ** 58n * BigInt(i) + 3n, BigUint64Array, 0n],
  float32: [(i) => (i === 3 ? NaN : i / 4 - 2), Float32Array, NaN],
  float64: [(i) => (i === 4 ? -Infinity : i / 8), Float64Array, Infinity],
};

const little = { name: "bytes", configuration: { endian: "little" } };
const CODECS = {
  plain: [little],
  none: [],
  big: [{ name: "bytes", configuration: { endian: "big" } }],
  transposed: [{ name: "transpose", configuration: { order: [1, 0] } }, little],
  blosc: [
    little,
    {
      name: "blosc",
      configuration: {
        cname: "lz4", clevel: 5, shuffle: "shuffle", typesize: 4, blocksize: 0,
      },
    },
  ],
  zstd: [little, { name: "zstd", configuration: { level: 3, checksum: false } }],
  lz4: [little, { name: "numcodecs.lz4", configuration: { acceleration: 1 } }],
};
