# Intune remediation "Claude telemetry: doctor": repairs what is safe. Exit code 1: something is left for a person.
$program = Join-Path $env:ProgramW6432 'ClaudeTelemetry\claude-telemetry-doctor.exe'
$null = & $program --fix 2>$null
$null = & $program 2>$null
if ($LASTEXITCODE -ne 0) {
    Write-Output 'not all of it can be repaired here'
    exit 1
}
Write-Output 'repaired'
exit 0
