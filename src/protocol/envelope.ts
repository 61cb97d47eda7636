/**
 * Requests and responses as they go over a connection: length, header, body.
 *
 *     request  => length:i32 apiKey:i16 apiVersion:i16 correlationId:i32 clientId:nullable string [tags] body
 *     response => length:i32 correlationId:i32 [tags] body
 *
 * Tags are there in flexible versions (header versions 2 and 1). Two
 * exceptions, both so that a peer of any age can read them: `clientId` keeps
 * its fixed-width length, and the response of ApiVersions never has header tags.
 */

import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { ALL_APIS } from './generated/index.ts'
import type { AnyApi, Api } from './message-codec.ts'

/** Bytes of the length in front of every request and response. */
export const FRAME_LENGTH_BYTES = 4

const API_VERSIONS_KEY = 18
const LENGTH_PLACEHOLDER = Buffer.alloc(FRAME_LENGTH_BYTES)

const APIS_BY_KEY: (AnyApi | undefined)[] = []
for (const api of ALL_APIS) APIS_BY_KEY[api.key] = api

/** What the header of a request says. */
export interface RequestHeader {
  readonly apiKey: number
  readonly apiVersion: number
  /** int32, chosen by the client, repeated in the response. */
  readonly correlationId: number
  readonly clientId: string | null
}

/** The API with this key, if there are codecs for it. */
export function apiByKey(key: number): AnyApi | undefined {
  return APIS_BY_KEY[key]
}

function hasResponseHeaderTags(api: AnyApi, version: number): boolean {
  return api.key !== API_VERSIONS_KEY && api.response.isFlexible(version)
}

/** Writes the length into the first four bytes of what was written. */
function closeFrame(writer: ByteWriter): Buffer[] {
  const length = writer.byteLength - FRAME_LENGTH_BYTES
  const chunks = writer.chunks()
  chunks[0]?.writeInt32BE(length, 0)
  return chunks
}

/**
 * Encodes a request with its length, as chunks for one vectored write.
 *
 * @throws PipelineError what `MessageCodec.write` throws.
 */
// oxlint-disable-next-line max-params -- the message stands apart from what addresses it
export function encodeRequest<QI>(
  api: Api<unknown, QI, unknown, never>,
  version: number,
  header: { readonly correlationId: number; readonly clientId: string | null },
  message: QI
): Buffer[] {
  const writer = new ByteWriter()
  writer.raw(LENGTH_PLACEHOLDER)
  writer.int16(api.key)
  writer.int16(version)
  writer.int32(header.correlationId)
  writer.nullableString(header.clientId, false)
  if (api.request.isFlexible(version)) writer.uvarint(0)
  api.request.write(writer, message, version)
  return closeFrame(writer)
}

/**
 * Reads the header of a request; the body follows where the reader stands. For
 * an API or a version without codec only the fixed part is read: what to answer
 * is the caller's decision.
 */
export function decodeRequestHeader(reader: ByteReader): RequestHeader {
  const apiKey = reader.int16()
  const apiVersion = reader.int16()
  const correlationId = reader.int32()
  const clientId = reader.nullableString(false)
  const codec = apiByKey(apiKey)?.request
  if (codec !== undefined && apiVersion <= codec.maxVersion && codec.isFlexible(apiVersion)) reader.skipTaggedFields()
  return { apiKey, apiVersion, correlationId, clientId }
}

/**
 * Encodes a response with its length, as chunks for one vectored write.
 *
 * @throws PipelineError what `MessageCodec.write` throws.
 */
// oxlint-disable-next-line max-params -- the message stands apart from what addresses it
export function encodeResponse<SI>(
  api: Api<unknown, never, unknown, SI>,
  version: number,
  correlationId: number,
  message: SI
): Buffer[] {
  const writer = new ByteWriter()
  writer.raw(LENGTH_PLACEHOLDER)
  writer.int32(correlationId)
  if (hasResponseHeaderTags(api, version)) writer.uvarint(0)
  api.response.write(writer, message, version)
  return closeFrame(writer)
}

/**
 * Decodes a response.
 *
 * @param payload - The response without its length: it begins with the correlation id.
 * @throws PipelineError what `MessageCodec.read` throws.
 */
export function decodeResponse<S>(
  api: Api<unknown, never, S, never>,
  version: number,
  payload: Buffer
): { correlationId: number; message: S } {
  const reader = new ByteReader(payload)
  const correlationId = reader.int32()
  if (hasResponseHeaderTags(api, version)) reader.skipTaggedFields()
  return { correlationId, message: api.response.read(reader, version) }
}
