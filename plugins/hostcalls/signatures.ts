// The foreign functions "sign" and "verify_signature", with Envoy's arguments and results (protobuf messages of its
// source/extensions/common/wasm/ext). Keys come as DER or as PEM, one of them; RSA is PKCS #1 v1.5, ECDSA is in DER.

import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { Status } from "../abi/constants.ts";
import { type ProtoFields, readFields, writeFields } from "../proto-fields.ts";
import { Work } from "./work.ts";

interface Result {
  readonly status: number;
  readonly result?: Uint8Array;
}

const BAD_ARGUMENT: Result = { status: Status.BadArgument };
const HASHES: ReadonlySet<string> = new Set(["sha1", "sha224", "sha256", "sha384", "sha512"]);
/** A larger RSA key would keep the worker for seconds. */
const MAX_BITS = 8192;
/** Curves cost about what an RSA key of this many bits does. */
const CURVE_BITS = 2048;
const NOTHING = new Uint8Array(0);

function bitsOf(key: KeyObject): number {
  return key.asymmetricKeyDetails?.modulusLength ?? CURVE_BITS;
}

/** SignArguments (hash_function, private_key, text, private_key_pem) → SignResult (result, signature, error). `paid`: the guest's memory. */
export function signText(argument: Uint8Array, paid: { work: number }): Result {
  paid.work += Work.ReadKey;
  const fields = readFields(argument);
  const key = fields === undefined ? undefined : keyOf(fields, 2, 4, createPrivateKey, "pkcs8");
  if (fields === undefined || key === undefined || bitsOf(key) > MAX_BITS) return BAD_ARGUMENT;
  paid.work += Work.Sign * (bitsOf(key) / 2048) ** 3;
  const hash = hashOf(fields);
  let error = hash.error;
  if (hash.name !== undefined) {
    try {
      const signature = sign(hash.name, fields.bytes.get(3) ?? NOTHING, key);
      return {
        status: Status.Ok,
        result: writeFields([
          [1, 1],
          [2, signature],
        ]),
      };
    } catch {
      error = "Failed to create digital signature.";
    }
  }
  return { status: Status.Ok, result: writeFields([[3, Buffer.from(error)]]) };
}

/** VerifySignatureArguments (hash_function, public_key, signature, text, public_key_pem) → (result, error). */
export function verifySignature(argument: Uint8Array, paid: { work: number }): Result {
  paid.work += Work.ReadKey;
  const fields = readFields(argument);
  const key = fields === undefined ? undefined : keyOf(fields, 2, 5, createPublicKey, "spki");
  if (fields === undefined || key === undefined || bitsOf(key) > MAX_BITS) return BAD_ARGUMENT;
  paid.work += Work.Verify * (bitsOf(key) / 2048) ** 2;
  const hash = hashOf(fields);
  let error = hash.error;
  if (hash.name !== undefined) {
    error = "Failed to verify digital signature.";
    try {
      const isGood = verify(hash.name, fields.bytes.get(4) ?? NOTHING, key, fields.bytes.get(3) ?? NOTHING);
      if (isGood) return { status: Status.Ok, result: writeFields([[1, 1]]) };
    } catch {
      // A signature that is none for this kind of key.
    }
  }
  return { status: Status.Ok, result: writeFields([[2, Buffer.from(error)]]) };
}

function hashOf(fields: ProtoFields): { readonly name: string | undefined; readonly error: string } {
  const name = Buffer.from(fields.bytes.get(1) ?? NOTHING).toString("latin1");
  const lower = name.toLowerCase();
  return HASHES.has(lower) ? { name: lower, error: "" } : { name: undefined, error: `${name} is not supported.` };
}

type KeyReader<Type> = (key: { key: Buffer; format: "der"; type: Type } | { key: Buffer; format: "pem" }) => KeyObject;

/** The key in one of two fields; undefined when both or none is there, or when it is no key. */
function keyOf<Type>(
  fields: ProtoFields,
  derField: number,
  pemField: number,
  read: KeyReader<Type>,
  type: Type,
): KeyObject | undefined {
  const der = fields.bytes.get(derField) ?? NOTHING;
  const pem = fields.bytes.get(pemField) ?? NOTHING;
  if (der.length > 0 === pem.length > 0) return undefined;
  try {
    return read(
      pem.length > 0 ? { key: Buffer.from(pem), format: "pem" } : { key: Buffer.from(der), format: "der", type },
    );
  } catch {
    return undefined;
  }
}
