# Intune remediation "Claude telemetry: doctor", detection: names the checks that fail, nothing about a person.
# Exit code 1 lets doctor-remediate.ps1 run.
$program = Join-Path $env:ProgramW6432 'ClaudeTelemetry\claude-telemetry-doctor.exe'
if (-not (Test-Path $program)) {
    Write-Output 'not installed'
    exit 0
}
try {
    $report = & $program --json 2>$null | Out-String | ConvertFrom-Json
} catch {
    Write-Output 'no report'
    exit 1
}
$failed = @($report.checks | Where-Object { $_.status -eq 'fail' } | ForEach-Object { $_.id })
if ($failed.Count -gt 0) {
    Write-Output "failed: $($failed -join ' ')"
    exit 1
}
Write-Output "no failure, $($report.summary.warn) warnings"
exit 0
