// Writes the arrays in tests/data/zarrita, which tests/interop/test_zarrita.py reads.
//
// In an empty directory, with Node 20 or newer:
//
//     npm init -y
//     npm install zarrita@0.7.5 @zarrita/storage@0.2.0 numcodecs@0.3.2
//     cp .../tests/data/make_zarrita.mjs . && node make_zarrita.mjs .../tests/data/zarrita
//
// zarrita.js writes Zarr v3 only, and no shards. It has no compressor for gzip; that of its own
// package numcodecs is registered here.

import * as zarr from "zarrita";
import FileSystemStore from "@zarrita/storage/fs";

zarr.registry.set("gzip", () => import("numcodecs/gzip").then((module) => module.default));

const SMALL = [[5, 7], [3, 4]]; // the shape of an array, and of a chunk
const LARGE = [[40, 30], [24, 20]];
const BIG = 2n ** 58n;

// the array that holds values, what element number i is, and the fill value
const TYPES = {
  bool: [zarr.BoolArray, (i) => i % 3 === 0, true],
  int8: [Int8Array, (i) => 7 * i - 119, -1],
  int16: [Int16Array, (i) => 1900 * i - 32000, 7],
  int32: [Int32Array, (i) => 1500000 * (i - 17), -8],
  int64: [BigInt64Array, (i) => BIG / 2n * BigInt(i - 17) + 1n, 5],
  uint8: [Uint8Array, (i) => 7 * i, 255],
  uint16: [Uint16Array, (i) => 1900 * i, 1],
  uint32: [Uint32Array, (i) => 120000000 * i, 0],
  uint64: [BigUint64Array, (i) => BIG * BigInt(i) + 3n, 0],
  float32: [Float32Array, (i) => (i === 3 ? NaN : i / 4 - 2), NaN],
  float64: [Float64Array, (i) => (i === 4 ? -Infinity : i / 8), Infinity],
};

const little = { name: "bytes", configuration: { endian: "little" } };
const CODECS = {
  big: [{ name: "bytes", configuration: { endian: "big" } }],
  transposed: [{ name: "transpose", configuration: { order: [1, 0] } }, little],
  gzip: [little, { name: "gzip", configuration: { level: 5 } }],
  zstd: [little, { name: "zstd", configuration: { level: 3, checksum: false } }],
  lz4: [little, { name: "numcodecs.lz4", configuration: { acceleration: 1 } }],
};
for (const [cname, shuffle] of [["lz4", "shuffle"], ["zstd", "bitshuffle"], ["zlib", "noshuffle"]]) {
  CODECS[`blosc_${cname}`] = [
    little,
    { name: "blosc", configuration: { cname, clevel: 5, shuffle, typesize: 4, blocksize: 0 } },
  ];
}

const store = new FileSystemStore(process.argv[2]);
const root = zarr.root(store);

// the last column of chunks is left out: it reads as the fill value
async function write(name, dtype, [shape, chunkShape], options) {
  const [Values, element, fillValue] = TYPES[dtype];
  const array = await zarr.create(root.resolve(name), {
    shape,
    chunkShape,
    dtype,
    fillValue,
    dimensionNames: ["y", "x"],
    ...options,
  });
  const [rows, width] = [shape[0], chunkShape[1]];
  const data = new Values(rows * width);
  for (let i = 0; i < data.length; i++) {
    const value = element(Math.floor(i / width) * shape[1] + (i % width));
    if (Values === zarr.BoolArray) data.set(i, value);
    else data[i] = value;
  }
  const stride = [width, 1];
  await zarr.set(array, [null, zarr.slice(0, width)], { data, shape: [rows, width], stride });
}

await zarr.create(root, { attributes: { written: "by zarrita.js", list: [1, null, "é"] } });
await zarr.create(root.resolve("types"));
await zarr.create(root.resolve("codecs"));
for (const dtype of Object.keys(TYPES)) {
  await write(`types/${dtype}`, dtype, SMALL, { codecs: [little] });
}
for (const [name, codecs] of Object.entries(CODECS)) {
  await write(`codecs/${name}`, "int32", LARGE, { codecs });
}
await write("dots", "int16", SMALL, { codecs: [little], chunkSeparator: "." });
const scalar = await zarr.create(root.resolve("scalar"), {
  shape: [],
  chunkShape: [],
  dtype: "float64",
  codecs: [little],
  fillValue: 0,
});
await zarr.set(scalar, null, 2.5);
