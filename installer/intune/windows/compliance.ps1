# Intune custom compliance for Windows: discovery script for the rules in compliance.json. Runs as the system,
# prints one line of JSON and holds no address of a person.
$program = Join-Path $env:ProgramW6432 'ClaudeTelemetry\claude-telemetry-agent.exe'
$installed = Test-Path $program
$service = Get-Service -Name 'claude-telemetry-agent' -ErrorAction SilentlyContinue
$running = ($null -ne $service) -and ($service.Status -eq 'Running')
$healthy = $false
if ($installed) {
    $null = & $program status --brief 2>$null
    $healthy = $LASTEXITCODE -eq 0
}
$hash = @{ AgentInstalled = $installed; AgentRunning = $running; AgentHealthy = $healthy }
return $hash | ConvertTo-Json -Compress
