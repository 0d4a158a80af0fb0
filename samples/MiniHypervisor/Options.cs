namespace MiniHypervisor;

/// <summary>The command line.</summary>
internal sealed record Options
{
    public const string Usage = """
        Usage: MiniHypervisor --kernel FILE --initrd FILE --disk DISK... [options]

          --kernel FILE     a bzImage, such as /boot/vmlinuz-VERSION of a distribution
          --initrd FILE     its initial RAM disk, with hv_vmbus, hv_storvsc and sd_mod
          --disk DISK       an image for the next unit: PATH[,sectors=512|512e|4kn][,size=BYTES][,readonly]
          --cpus N          processors, 1 to 64 (1)
          --memory SIZE     up to 3G (512M)
          --append TEXT     more for the kernel's command line
          --control FIFO    reads commands, a line each, from a named pipe:
                              add DISK | remove LUN | resize LUN SIZE | fail LUN OFFSET LENGTH | heal LUN | stats | quit
          --tlfs-bits       tells the guest in CPUID 40000003h.EBX that it may post messages and signal events

        Statistics go to standard error on SIGUSR1 and at the end.
        """;

    public string Kernel { get; private init; } = "";

    public string Initrd { get; private init; } = "";

    public IReadOnlyList<string> Disks { get; private init; } = [];

    public int ProcessorCount { get; private init; } = 1;

    public long MemoryLength { get; private init; } = 512 << 20;

    public string CommandLine { get; private init; } = "console=ttyS0,115200 reboot=t panic=-1";

    public string? Control { get; private init; }

    public uint PrivilegesHigh { get; private init; }

    /// <exception cref="FormatException">It says nothing, or too little.</exception>
    public static Options Parse(string[] arguments)
    {
        var options = new Options();
        var disks = new List<string>();
        for (var i = 0; i < arguments.Length; i++)
        {
            var name = arguments[i];
            if (name == "--tlfs-bits")
            {
                options = options with { PrivilegesHigh = 0x30 };
                continue;
            }

            var value = ++i < arguments.Length ? arguments[i] : throw new FormatException($"{name} needs a value.");
            options = name switch
            {
                "--kernel" => options with { Kernel = value },
                "--initrd" => options with { Initrd = value },
                "--cpus" => options with { ProcessorCount = int.TryParse(value, out var count) && count is >= 1 and <= 64 ? count : throw new FormatException("A guest has 1 to 64 processors.") },
                "--memory" => options with { MemoryLength = Sizes.Parse(value) & ~0x1F_FFFFL },
                "--append" => options with { CommandLine = $"{options.CommandLine} {value}" },
                "--control" => options with { Control = value },
                "--disk" => Add(value),
                _ => throw new FormatException($"There is no {name}."),
            };
        }

        if (options.Kernel.Length == 0 || options.Initrd.Length == 0)
        {
            throw new FormatException("A kernel and an initial RAM disk are needed.");
        }

        if (options.MemoryLength is < (64 << 20) or > GuestMemory.MaxLength)
        {
            throw new FormatException("A guest has 64M to 3G of memory.");
        }

        return options with { Disks = disks };

        Options Add(string disk)
        {
            disks.Add(disk);
            return options;
        }
    }
}
