// Sends known telemetry with the real OpenTelemetry JS SDK: node export.js PROTOCOL URL MARK COUNT
// PROTOCOL: proto | http | grpc. Prints one JSON line when everything was flushed.
'use strict';
const [, , protocol, url, mark, countText] = process.argv;
const count = Number(countText);
const gzip = process.env.EXPORT_GZIP === '1' ? { compression: 'gzip' } : {};
const { diag, DiagConsoleLogger, DiagLogLevel } = require('@opentelemetry/api');
diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.ERROR);
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { LoggerProvider, BatchLogRecordProcessor } = require('@opentelemetry/sdk-logs');
const { MeterProvider, PeriodicExportingMetricReader, AggregationTemporality } = require('@opentelemetry/sdk-metrics');
const { BasicTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-base');
const { OTLPLogExporter } = require(`@opentelemetry/exporter-logs-otlp-${protocol}`);
const { OTLPMetricExporter } = require(`@opentelemetry/exporter-metrics-otlp-${protocol}`);
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${protocol}`);
const at = (signal) => (protocol === 'grpc' ? { url, ...gzip } : { url: `${url}/v1/${signal}`, ...gzip });
const resource = resourceFromAttributes({ 'service.name': 'otel-js', work_email: 'sdk@example.com' });

const failures = [];
const watched = (exporter) => {
  const original = exporter.export.bind(exporter);
  exporter.export = (items, done) => original(items, (result) => {
    if (result.code !== 0) failures.push(String(result.error && result.error.message));
    done(result);
  });
  return exporter;
};

async function main() {
  const logs = new LoggerProvider({
    resource, processors: [new BatchLogRecordProcessor({ exporter: watched(new OTLPLogExporter(at('logs'))) })] });
  const logger = logs.getLogger('test.logs', '1');
  for (let i = 0; i < count; i++)
    logger.emit({ body: `line ${i} of ${mark}`, attributes: { 'test.mark': mark, 'test.number': i, 'test.half': i / 2 } });
  await logs.forceFlush();

  const spans = new BasicTracerProvider({
    resource, spanProcessors: [new BatchSpanProcessor(watched(new OTLPTraceExporter(at('traces'))))] });
  const tracer = spans.getTracer('test.spans', '1');
  for (let i = 0; i < count; i++) {
    const span = tracer.startSpan(`chat test-model`, { attributes: {
      'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'anthropic', 'gen_ai.request.model': 'test-model',
      'gen_ai.response.id': `${mark}-${i}`, 'gen_ai.usage.input_tokens': 110, 'gen_ai.usage.output_tokens': 7,
      'gen_ai.usage.cache_read.input_tokens': 100, 'test.mark': mark } });
    span.addEvent('attempt', { number: 1 });
    span.end();
  }
  await spans.forceFlush();

  const reader = new PeriodicExportingMetricReader({ exportIntervalMillis: 3600000,
    exporter: watched(new OTLPMetricExporter({ ...at('metrics'), temporalityPreference: AggregationTemporality.DELTA })) });
  const metrics = new MeterProvider({ resource, readers: [reader] });
  metrics.getMeter('test.metrics').createCounter('claude_code.commit.count').add(count, { 'session.id': mark });
  await metrics.forceFlush();

  await Promise.all([logs.shutdown(), spans.shutdown(), metrics.shutdown()]);
  console.log(JSON.stringify({ failures }));
}
main().catch((fault) => { console.error(fault); process.exit(1); });
