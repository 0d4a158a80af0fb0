using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Testing;
using VhdService.Testing;

namespace VhdService.Tests.Storvsp;

/// <summary>Random guests over real images, held against a model: from the ring to the image and back, and what is in the image when all is closed.</summary>
public sealed class ModelTests
{
    private const int Size = 12 << 20; // bytes

    public static TheoryData<string, int> Images => new MatrixTheoryData<string, int>(["vhd", "vhd-child", "vhdx", "vhdx-child", "vhdx-4k", "ram"], [1, 2]);

    [Theory]
    [MemberData(nameof(Images))]
    public async Task A_pumped_guest_reads_what_it_wrote(string image, int seed)
    {
        var world = new PumpedWorld(seed);
        var resolver = new MemoryStorageResolver { ReadsAtOnce = seed == 1 };
        await RunAsync(world, image, resolver, seed, steps: 400, processors: 1 + (seed % 2));
    }

    [Theory]
    [MemberData(nameof(Images))]
    public async Task A_guest_beside_a_host_on_threads_reads_what_it_wrote(string image, int seed)
    {
        using var world = new ThreadedWorld();
        var resolver = new MemoryStorageResolver { ReadsAtOnce = seed == 1 };
        await RunAsync(world, image, resolver, seed, steps: 400, processors: 3);
    }

    private static async Task RunAsync(IWorld world, string image, MemoryStorageResolver resolver, int seed, int steps, int processors)
    {
        var model = new byte[Size];
        await using (var disk = await CreateAsync(image, resolver, model, seed))
        {
            await using var machine = new HostMachine(world, processors, ramPages: 4096, seed);
            await using var ram = new RamDevice(Size) { World = world as PumpedWorld };
            machine.Target.Attach(0, disk?.Device ?? ram);
            var guest = new RandomGuest(machine, model, seed);
            guest.Run(steps);
            if (disk is null)
            {
                Assert.True(ram.Content.SequenceEqual(model));
                return;
            }
        }

        await using var reopened = await VirtualDisk.OpenAsync("disk", resolver: resolver);
        var content = new byte[Size];
        await reopened.ReadAsync(0, content);
        Assert.True(content.AsSpan().SequenceEqual(model), "the image holds what the guest wrote");
    }

    private static async Task<VirtualDisk?> CreateAsync(string image, MemoryStorageResolver resolver, byte[] model, int seed)
    {
        if (image == "ram")
        {
            return null;
        }

        var format = image.StartsWith("vhdx", StringComparison.Ordinal) ? ImageFormat.Vhdx : ImageFormat.Vhd;
        var options = new ImageCreateOptions { Format = format, Size = Size, BlockSize = 1 << 20, LogicalSectorSize = image == "vhdx-4k" ? 4096 : null };
        if (!image.EndsWith("-child", StringComparison.Ordinal))
        {
            return await VirtualDisk.CreateAsync("disk", options, resolver);
        }

        await using (var parent = await VirtualDisk.CreateAsync("parent", options, resolver))
        {
            new Random(seed).NextBytes(model);
            await parent.WriteAsync(0, model);
        }

        return await VirtualDisk.CreateAsync("disk", new ImageCreateOptions { Format = format, Kind = ImageKind.Differencing, Parent = "parent", BlockSize = format == ImageFormat.Vhdx ? 1 << 20 : null }, resolver);
    }

    /// <summary>Keeps up to 32 requests under way that do not touch each other's blocks, and checks each answer.</summary>
    private sealed class RandomGuest(HostMachine machine, byte[] model, int seed)
    {
        private readonly Random _random = new(seed);
        private readonly Dictionary<ulong, Request> _requests = [];

        public void Run(int steps)
        {
            var driver = machine.Start();
            if (driver.MaxSubChannels > 0)
            {
                driver.OpenSubChannels(driver.MaxSubChannels);
            }

            var disk = new MiniSd(driver);
            disk.Probe();
            Assert.Equal(Size / disk.BlockSize, disk.BlockCount);
            for (var step = 0; step < steps; step++)
            {
                Submit(disk);
                if (_random.Next(3) == 0)
                {
                    Settle(driver, _random.Next(_requests.Count + 1));
                }
            }

            Settle(driver, 0);
            disk.Flush();
            driver.Close();
            Assert.Empty(machine.Complaints);
        }

        private void Submit(MiniSd disk)
        {
            var driver = disk.Driver;
            if (_requests.Count >= 32)
            {
                Settle(driver, 16);
            }

            var blockSize = disk.BlockSize;
            var count = _random.Next(4) == 0 ? _random.Next(1, (256 << 10) / blockSize) : _random.Next(1, (16 << 10) / blockSize);
            var lba = _random.NextInt64(disk.BlockCount - count);
            var kind = _random.Next(10) switch { < 4 => 'R', < 8 => 'W', 8 => 'U', _ => 'F' };
            if (kind != 'F' && _requests.Values.Any(other => other.Kind != 'F' && lba < other.Lba + other.Count && other.Lba < lba + count))
            {
                Settle(driver, 0);
            }

            var channel = _random.Next(driver.Channels.Count);
            var offset = (int)lba * blockSize;
            var length = count * blockSize;
            switch (kind)
            {
                case 'R':
                    var into = new GuestData(machine.Ram, length, _random.Next(4096));
                    Add(driver.Submit(MiniSd.TransferCdb(0x28, lba, count), SrbData.Read, into, channel: channel), new Request(kind, lba, count, into));
                    break;

                case 'W':
                    var from = new GuestData(machine.Ram, length, _random.Next(4096));
                    var content = new byte[length];
                    _random.NextBytes(content);
                    from.Set(content);
                    content.CopyTo(model, offset);
                    var cdb = MiniSd.TransferCdb(0x2A, lba, count);
                    cdb[1] = _random.Next(8) == 0 ? (byte)8 : (byte)0;
                    Add(driver.Submit(cdb, SrbData.Write, from, channel: channel), new Request(kind, lba, count, from));
                    break;

                case 'U':
                    // What is discarded reads as zeros or as before: the guest finds out which, and holds the disk to it.
                    Settle(driver, 0);
                    disk.Unmap(lba, count);
                    var now = disk.ReadBlocks(lba, count);
                    for (var block = 0; block < count; block++)
                    {
                        var read = now.AsSpan(block * blockSize, blockSize);
                        var was = model.AsSpan(offset + (block * blockSize), blockSize);
                        Assert.True(read.SequenceEqual(was) || !read.ContainsAnyExcept((byte)0), "a discarded block holds something else");
                        read.CopyTo(was);
                    }

                    break;

                default:
                    Add(driver.Submit([0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], channel: channel), new Request(kind, 0, 0, null));
                    break;
            }
        }

        private void Add(ulong tag, Request request) => _requests.Add(tag, request);

        private void Settle(GuestStorvsc driver, int left)
        {
            driver.Bus.Until(
                () =>
                {
                    while (_requests.Count > left && driver.TryTake() is { } answer)
                    {
                        Check(driver, answer.Tag, answer.Reply);
                    }

                    return _requests.Count <= left;
                },
                "answers");
        }

        private void Check(GuestStorvsc driver, ulong tag, SrbReply reply)
        {
            Assert.True(_requests.Remove(tag, out var request));
            Assert.True(reply.IsGood, $"{request.Kind} of {request.Count} at {request.Lba}: {reply} {reply.SenseCode}");
            if (request.Kind == 'R')
            {
                var blockSize = request.Data!.Length / request.Count;
                Assert.True(request.Data.ToArray().AsSpan().SequenceEqual(model.AsSpan((int)request.Lba * blockSize, request.Data.Length)), $"{request.Count} blocks at {request.Lba}");
            }

            request.Data?.Dispose();
        }
    }

    private sealed record Request(char Kind, long Lba, int Count, GuestData? Data);
}
