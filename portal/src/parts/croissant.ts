/**
 * An offer as Croissant 1.1, for looking at before it is published: what `contract-service/src/croissant/export.rs` makes of
 * it. A scenario in the browser compares the two.
 */
import type { PublicOffer } from '../api/documents';

const TERMS: Record<string, unknown> = {
  '@language': 'en', '@vocab': 'https://schema.org/', arrayShape: 'cr:arrayShape', citeAs: 'cr:citeAs', column: 'cr:column',
  conformsTo: 'dct:conformsTo', containedIn: 'cr:containedIn', cr: 'http://mlcommons.org/croissant/', dct: 'http://purl.org/dc/terms/',
  depa: 'urn:depa:terms:', equivalentProperty: 'cr:equivalentProperty', extract: 'cr:extract', field: 'cr:field', fileObject: 'cr:fileObject',
  fileProperty: 'cr:fileProperty', fileSet: 'cr:fileSet', format: 'cr:format', includes: 'cr:includes', isArray: 'cr:isArray',
  isLiveDataset: 'cr:isLiveDataset', jsonPath: 'cr:jsonPath', key: 'cr:key', md5: 'cr:md5', odrl: 'http://www.w3.org/ns/odrl/2/',
  parentField: 'cr:parentField', path: 'cr:path', rai: 'http://mlcommons.org/croissant/RAI/', recordSet: 'cr:recordSet', references: 'cr:references',
  regex: 'cr:regex', repeated: 'cr:repeated', replace: 'cr:replace', samplingRate: 'cr:samplingRate', sc: 'https://schema.org/',
  separator: 'cr:separator', source: 'cr:source',
  data: { '@id': 'cr:data', '@type': '@json' }, dataType: { '@id': 'cr:dataType', '@type': '@vocab' }, description: { '@container': '@language' },
  examples: { '@id': 'cr:examples', '@type': '@json' }, name: { '@container': '@language' }, subField: 'cr:subField', transform: 'cr:transform',
};

const TYPES: Record<string, string> = { text: 'sc:Text', number: 'sc:Float', image: 'sc:ImageObject' };
const equal = (left: string, right: string, more = {}) => ({ 'odrl:leftOperand': { '@id': left }, 'odrl:operator': { '@id': 'odrl:eq' }, 'odrl:rightOperand': right, ...more });
const filled = <T>(name: string, list: T[]) => (list.length > 0 ? { [name]: list } : {});

function distribution({ objects, manifest_root, reference: { sample } }: PublicOffer): unknown[] {
  const sealed = objects.map((object, n) => ({
    '@id': `sealed-${n}`, '@type': 'cr:FileObject', name: `sealed-${n}`, description: 'Encrypted; opened only in a clean room under a contract.',
    contentUrl: object.url, contentSize: `${object.bytes} B`, encodingFormat: object.media_type, 'depa:manifestRoot': manifest_root,
  }));
  if (sample === null) return sealed;
  return [...sealed, {
    '@id': 'sample', '@type': 'cr:FileObject', name: 'sample', description: 'A sample that anyone may read; it is not the data.',
    contentUrl: sample.url, contentSize: `${sample.bytes} B`, encodingFormat: sample.media_type, sha256: sample.sha256, 'depa:sample': sample.kind,
  }];
}

const field = (column: PublicOffer['columns'][number]) => ({
  '@id': `table/${column.name}`, '@type': 'cr:Field', name: column.name, dataType: TYPES[column.type] ?? 'sc:Text',
  source: { fileObject: { '@id': 'sealed-0' }, extract: { column: column.name } },
  ...(column.lower == null ? {} : { 'depa:lower': column.lower }), ...(column.upper == null ? {} : { 'depa:upper': column.upper }),
});

/** `page` is the address of the dataset in the service. */
export function croissant(offer: PublicOffer, page: string): Record<string, unknown> {
  const { reference, data_card: card, usage, privacy_cap: cap } = offer;
  const prices = offer.payment.map((term) => equal('odrl:payAmount', String(Math.abs(term.amount_minor)), { 'odrl:unit': `${term.currency} minor units` }));
  return {
    '@context': TERMS, '@type': 'sc:Dataset', '@id': page,
    conformsTo: ['http://mlcommons.org/croissant/1.1', 'http://mlcommons.org/croissant/RAI/1.0', reference.data_schema],
    name: offer.name, description: card.description, identifier: offer.dataset_id, version: `${offer.version}.${offer.offer_version}.0`,
    license: card.licence, url: page,
    ...filled('creator', reference.creators.map((name) => ({ '@type': 'sc:Organization', name }))),
    ...filled('spatialCoverage', (reference.regions ?? []).map((name) => ({ '@type': 'sc:Place', name }))),
    ...filled('keywords', reference.keywords),
    datePublished: offer.offered_at.slice(0, 10), citeAs: `${reference.creators.join(', ')}: ${offer.name}, version ${offer.version}`, isLiveDataset: true,
    distribution: distribution(offer),
    recordSet: [{ '@id': 'table', '@type': 'cr:RecordSet', name: 'table', field: offer.columns.map(field) }],
    usageInfo: {
      '@type': 'odrl:Offer', '@id': `${page}#terms`, 'odrl:assigner': offer.provider,
      'odrl:permission': {
        'odrl:action': { '@id': 'odrl:use' }, 'odrl:constraint': usage.purposes.map((purpose) => equal('odrl:purpose', purpose)),
        'odrl:duty': { 'odrl:action': { '@id': 'odrl:compensate' }, 'odrl:constraint': prices },
      },
      'odrl:prohibition': { 'odrl:action': { '@id': 'odrl:distribute' } },
    },
    'rai:dataCollection': card.collection, 'rai:dataLimitations': card.limitations, 'rai:dataUseCases': usage.purposes,
    'rai:personalSensitiveInformation': card.personal_data,
    'depa:offer': {
      'depa:provider': offer.provider, 'depa:family': offer.family, 'depa:dataSchema': reference.data_schema,
      'depa:publicRows': String(offer.public_rows), 'depa:epsilonCap': cap.epsilon, 'depa:deltaCap': cap.delta,
      'depa:allowedColumns': usage.allowed_columns, 'depa:joinKeys': usage.join_keys, 'depa:targetColumns': usage.target_columns,
      'depa:consentBasis': reference.consent_basis_sha256,
      ...(cap.without_differential_privacy ? { 'depa:withoutDifferentialPrivacy': 'allowed' } : {}),
    },
  };
}
