# Intune remediation "Claude telemetry: service", detection: exit code 1 lets service-remediate.ps1 run.
$service = Get-Service -Name 'claude-telemetry-agent' -ErrorAction SilentlyContinue
if ($null -eq $service) {
    Write-Output 'not installed'
    exit 0
}
if ($service.Status -ne 'Running') {
    Write-Output 'stopped'
    exit 1
}
if ($service.StartType -eq 'Disabled') {
    Write-Output 'disabled'
    exit 1
}
Write-Output 'running'
exit 0
