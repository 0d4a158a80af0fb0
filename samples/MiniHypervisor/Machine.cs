using MiniHypervisor.Boot;
using MiniHypervisor.Devices;
using MiniHypervisor.Kvm;
using VhdService.HyperV;
using VhdService.Scsi;
using VhdService.Storvsp;
using VhdService.Vmbus;

namespace MiniHypervisor;

/// <summary>A whole computer: processors and memory from KVM, a serial console, a way to switch off, and a Hyper-V partition with a bus and its disks.</summary>
internal sealed class Machine : IExitHandler, IInterruptSink, IAsyncDisposable
{
    private const byte HypercallPort = 0xEE; // nobody else's
    private const ushort KeyboardController = 0x64;
    private const byte ResetPulse = 0xFE;

    private readonly VirtualMachine _kvm;
    private readonly GuestMemory _memory;
    private readonly HypervPartition _partition;
    private readonly VmbusServer _bus;
    private readonly StorvspController _controller;
    private readonly PowerManagement _power = new();
    private readonly Dictionary<int, GuestDisk> _disks = [];
    private readonly TaskCompletionSource<string?> _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<Thread> _threads = [];

    /// <summary>Makes a machine without software or disks.</summary>
    public Machine(long memoryLength, int processorCount, Stream console, uint privilegesHigh = 0)
    {
        _memory = new GuestMemory(memoryLength);
        _kvm = new VirtualMachine(_memory);
        Serial = new SerialPort(console, isHigh => _kvm.SetIrqLine(SerialPort.Irq, isHigh));
        _power.SwitchedOff += () => End(null);

        for (var i = 0; i < processorCount; i++)
        {
            _kvm.AddProcessor();
        }

        _partition = new HypervPartition(_memory, this, new HypervPartitionOptions
        {
            ProcessorCount = processorCount,
            TscFrequency = (ulong)_kvm.Processors[0].TscKilohertz * 1000,
            HypercallCode = HypercallPage.PortOut(HypercallPort),
            PrivilegesHigh = privilegesHigh,
            Log = sentence => Console.Error.WriteLine($"guest: {sentence}"),
        });
        foreach (var processor in _kvm.Processors)
        {
            processor.SetCpuid(CpuidTable.For(processor.Index, processorCount, _kvm, _partition.CpuidLeaves));
        }

        _bus = new VmbusServer(_partition);
        Target = new ScsiTarget();
        _controller = new StorvspController(_bus, Target, new StorvspOptions { InstanceId = new Guid("f8b3781a-1e82-4818-a1c3-63d806ec15bb") });
    }

    /// <summary>The guest's console.</summary>
    public SerialPort Serial { get; }

    /// <summary>The units of the SCSI controller.</summary>
    public ScsiTarget Target { get; }

    /// <summary>The guest's memory.</summary>
    public GuestMemory Memory => _memory;

    /// <summary>What the storage has done so far.</summary>
    public StorvspStatistics Statistics => _controller.Statistics;

    /// <summary>Hypercalls and interrupts so far.</summary>
    public (long Hypercalls, long Interrupts) Counts => (_partition.HypercallCount, _partition.InterruptCount);

    /// <summary>Ends with null when the guest has switched itself off, otherwise with what went wrong.</summary>
    public Task<string?> Ended => _end.Task;

    /// <summary>Where tests watch ports that are no device's.</summary>
    public Action<VirtualProcessor, ushort, uint>? OtherPort { get; init; }

    /// <summary>Plugs a disk in as the next free unit.</summary>
    public async Task<int> AddDiskAsync(string description)
    {
        var disk = await GuestDisk.OpenAsync(description);
        var lun = Enumerable.Range(0, ScsiTarget.MaxUnits).First(number => Target[number] is null);
        _disks.Add(lun, disk);

        // The same identity in every life of the machine: the image's, or for an image without one, the unit's.
        var id = disk.Id ?? new Guid(0x6D696E69, 0x6879, 0x7076, 0, 0, 0, 0, 0, 0, 0, (byte)lun);
        Target.Attach(lun, disk, new ScsiDiskOptions { Id = id });
        return lun;
    }

    /// <summary>A unit's disk.</summary>
    public GuestDisk Disk(int lun) => _disks.TryGetValue(lun, out var disk) ? disk : throw new InvalidOperationException($"There is no unit {lun}.");

    /// <summary>Pulls a disk out and closes its image.</summary>
    public async Task RemoveDiskAsync(int lun)
    {
        var disk = Disk(lun);
        Target.Detach(lun);
        _disks.Remove(lun);
        await disk.DisposeAsync();
    }

    /// <summary>Puts a Linux kernel into memory and sets the processors going.</summary>
    public void StartLinux(ReadOnlySpan<byte> kernel, ReadOnlySpan<byte> initrd, string commandLine)
    {
        AcpiTables.Write(_memory, _kvm.Processors.Count);
        var entry = LinuxLoader.Load(_memory, kernel, initrd, commandLine, AcpiTables.Address);
        Start(entry, LinuxLoader.ZeroPage, stack: 0);
    }

    /// <summary>Sets the processors going: the first in 64-bit mode at an address, the others when it wakes them.</summary>
    public void Start(ulong entry, ulong argument, ulong stack)
    {
        LongMode.Write(_memory);
        _kvm.Processors[0].StartInLongMode(entry, argument, stack, LongMode.PageTable, LongMode.Descriptors);
        foreach (var processor in _kvm.Processors)
        {
            var thread = new Thread(() => End(processor.Run(this))) { IsBackground = true, Name = $"processor {processor.Index}" };
            _threads.Add(thread);
            thread.Start();
        }
    }

    /// <summary>Ends the machine.</summary>
    public void End(string? reason) => _end.TrySetResult(reason);

    void IExitHandler.WritePort(VirtualProcessor processor, ushort port, ReadOnlySpan<byte> data)
    {
        switch (port)
        {
            case HypercallPort:
                ref var registers = ref processor.Registers;
                registers.Rax = _partition.Hypercall(registers.Rcx, registers.Rdx, registers.R8);
                processor.WriteRegisters();
                break;

            case >= SerialPort.Base and < SerialPort.End:
                Serial.Write(port, data[0]);
                break;

            case >= PowerManagement.EventBlock and < PowerManagement.End:
                _power.Write(port, ReadValue(data));
                break;

            case KeyboardController when data[0] == ResetPulse: // how PCs were always reset
                End(null);
                break;

            default:
                OtherPort?.Invoke(processor, port, ReadValue(data));
                break;
        }
    }

    void IExitHandler.ReadPort(VirtualProcessor processor, ushort port, Span<byte> data)
    {
        data.Fill(0xFF); // nothing is there
        switch (port)
        {
            case >= SerialPort.Base and < SerialPort.End:
                data[0] = Serial.Read(port);
                break;

            case >= PowerManagement.EventBlock and < PowerManagement.End:
                Span<byte> value = stackalloc byte[4];
                BitConverter.TryWriteBytes(value, PowerManagement.Read(port));
                value[..data.Length].CopyTo(data);
                break;
        }
    }

    bool IExitHandler.TryReadMsr(VirtualProcessor processor, uint index, out ulong value) => _partition.TryReadMsr(processor.Index, index, out value);

    bool IExitHandler.TryWriteMsr(VirtualProcessor processor, uint index, ulong value) => _partition.TryWriteMsr(processor.Index, index, value);

    void IInterruptSink.Raise(int processor, byte vector) => _kvm.SignalMsi(processor, vector);

    /// <summary>Takes the disks out when nothing is under way on them any more, and closes them.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var processor in _kvm.Processors)
        {
            processor.Stop();
        }

        await _controller.DisposeAsync();
        await _bus.DisposeAsync();
        _partition.Dispose();
        foreach (var lun in _disks.Keys.ToArray())
        {
            await RemoveDiskAsync(lun);
        }

        Serial.Flush();

        // A processor that sleeps in the kernel keeps its thread there until the process ends, and needs its memory as long.
        if (_threads.TrueForAll(thread => thread.Join(TimeSpan.FromMilliseconds(100))))
        {
            _kvm.Dispose();
            _memory.Dispose();
        }
    }

    private static uint ReadValue(ReadOnlySpan<byte> data)
    {
        Span<byte> value = stackalloc byte[4];
        value.Clear();
        data.CopyTo(value);
        return BitConverter.ToUInt32(value);
    }
}
