/** Authorities and certificates, made in the test that needs them: those of the experiments. */

export {
  Authority,
  type CertificateOptions,
  type CertificatePair,
  encryptedKey
} from '../../src/cli/chaos/certificates.ts'
