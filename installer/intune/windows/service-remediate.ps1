# Intune remediation "Claude telemetry: service": starts it, also after the next start of the machine.
$name = 'claude-telemetry-agent'
try {
    Set-Service -Name $name -StartupType Automatic -ErrorAction Stop
    Start-Service -Name $name -ErrorAction Stop
    (Get-Service -Name $name).WaitForStatus('Running', [timespan]::FromSeconds(30))
    Write-Output 'started'
    exit 0
} catch {
    Write-Output 'it does not start'
    exit 1
}
