using System.Diagnostics;

namespace MiniHypervisor.Devices;

/// <summary>ACPI's fixed registers: a timer to measure time by, and a register to switch off with.</summary>
internal sealed class PowerManagement
{
    public const ushort EventBlock = 0x600;
    public const ushort ControlBlock = 0x604;
    public const ushort Timer = 0x608;
    public const ushort End = 0x610;

    private const int TimerFrequency = 3_579_545; // hertz
    private const uint SleepEnable = 1u << 13;

    /// <summary>The guest has switched itself off.</summary>
    public event Action? SwitchedOff;

    public static uint Read(ushort port) =>
        port == Timer ? (uint)(Stopwatch.GetElapsedTime(0).TotalSeconds * TimerFrequency) & 0xFF_FFFF : 0;

    public void Write(ushort port, uint value)
    {
        if (port == ControlBlock && (value & SleepEnable) != 0 && (value >> 10 & 7) == 5)
        {
            SwitchedOff?.Invoke();
        }
    }
}
