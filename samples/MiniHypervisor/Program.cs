// A virtual machine monitor for KVM: it boots Linux with VhdKit's disks behind Microsoft's hypercall interface. README.md says how to use and how to read it.
using System.Diagnostics;
using System.Runtime.InteropServices;
using MiniHypervisor;

Options options;
try
{
    options = Options.Parse(args);
}
catch (FormatException error)
{
    Console.Error.WriteLine(error.Message);
    Console.Error.WriteLine();
    Console.Error.WriteLine(Options.Usage);
    return 2;
}

const int Sigusr1 = 10;
var console = new BufferedStream(Console.OpenStandardOutput(), 4096);
var isTerminal = !Console.IsInputRedirected;
try
{
    await using var machine = new Machine(options.MemoryLength, options.ProcessorCount, console, options.PrivilegesHigh);
    foreach (var disk in options.Disks)
    {
        await machine.AddDiskAsync(disk);
    }

    using var onUser = PosixSignalRegistration.Create((PosixSignal)Sigusr1, context =>
    {
        context.Cancel = true;
        Console.Error.WriteLine(Report.Describe(machine));
    });
    using var onTerminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, End);
    using var onInterrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, End);
    if (options.Control is { } control)
    {
        ControlChannel.Start(control, machine);
    }

    if (isTerminal)
    {
        Stty("-icanon", "-echo"); // what is typed goes to the guest at once, and the guest echoes it; Ctrl-C stays ours
    }

    var typing = new Thread(() => Type(machine)) { IsBackground = true, Name = "keyboard" };
    typing.Start();
    machine.StartLinux(File.ReadAllBytes(options.Kernel), File.ReadAllBytes(options.Initrd), options.CommandLine);

    using var flush = new PeriodicTimer(TimeSpan.FromMilliseconds(50)); // prompts have no newline
    while (!machine.Ended.IsCompleted)
    {
        await Task.WhenAny(machine.Ended, flush.WaitForNextTickAsync().AsTask());
        machine.Serial.Flush();
    }

    var failure = await machine.Ended;
    Console.Error.WriteLine(Report.Describe(machine));
    if (failure is not null)
    {
        Console.Error.WriteLine(failure);
    }

    return failure is null ? 0 : 1;

    void End(PosixSignalContext context)
    {
        context.Cancel = true;
        machine.End($"ended by {context.Signal}.");
    }
}
catch (Exception error) when (error is InvalidOperationException or InvalidDataException or IOException or FormatException or VhdCore.Errors.ImageException)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}
finally
{
    if (isTerminal)
    {
        Stty("icanon", "echo");
    }
}

static void Type(Machine machine)
{
    using var input = Console.OpenStandardInput();
    var buffer = new byte[256];
    for (int length; (length = input.Read(buffer)) > 0;)
    {
        machine.Serial.Type(buffer.AsSpan(0, length));
    }
}

static void Stty(params string[] arguments)
{
    using var stty = Process.Start("stty", arguments);
    stty.WaitForExit();
}
